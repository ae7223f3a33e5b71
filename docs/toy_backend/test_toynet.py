from cnngen.backend.testing import BackendConformance


class TestToynet(BackendConformance):
    backend = "toynet"
    framework = ("toynet",)
    float64 = 1e-10
