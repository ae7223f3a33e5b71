from types import ModuleType

import toynet

from cnngen.testing import BackendConformance, Runner


class ToynetRunner(Runner[ModuleType]):
    def build(self, source):
        module = ModuleType("emitted")
        exec(compile(source, "emitted.py", "exec"), module.__dict__)
        module.weights = toynet.init(module.network, module.SHAPE)
        return module

    def weights(self, model):
        return model.weights

    def set_weights(self, model, weights):
        model.weights = weights

    def outputs(self, model, images):
        return toynet.apply(model.network, model.weights, images)


class TestToynet(BackendConformance):
    backend = "toynet"
    runner = ToynetRunner()
    framework = ("toynet",)
    float64 = 1e-10
