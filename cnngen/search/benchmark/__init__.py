"""A benchmark on which search methods are compared in seconds, for any network of a space."""

from cnngen.search.benchmark.benchmark import Answer, Benchmark, benchmark, benchmark_names
from cnngen.search.benchmark.simulation import SimulatedTraining, simulate

__all__ = ["Answer", "Benchmark", "SimulatedTraining", "benchmark", "benchmark_names", "simulate"]
