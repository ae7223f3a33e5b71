"""A user's program: every public name, with the type that it is said to have."""

from pathlib import Path
from typing import assert_type

import cnngen


def describe() -> cnngen.Network:
    """Sentences, spaces, networks."""
    bounds = cnngen.Bounds(layers=(5, 40))
    space = assert_type(cnngen.load_space("compact"), cnngen.Space)
    sentence = assert_type(cnngen.sample_description(space, seed=1), cnngen.Description)
    text = assert_type(cnngen.format(sentence, long=True), str)
    assert cnngen.parse(cnngen.format_text(text)) == sentence
    for network in cnngen.sample_many(3, space, bounds=bounds):
        assert_type(network, cnngen.Network)
    try:
        assert_type(cnngen.read(Path("net.cnn")), cnngen.Description)
    except cnngen.CnnGenError as error:
        assert_type(error.position, tuple[int, int] | None)
    assert_type(cnngen.sample("paper", seed=7), cnngen.Network)
    return cnngen.resolve(sentence, input_shape=(8, 8, 1))


def train(network: cnngen.Network, folder: Path) -> cnngen.Runs:
    """Data, protocols, energy, records."""
    data = assert_type(cnngen.load_data("digits"), cnngen.Dataset)
    quick = assert_type(cnngen.PROTOCOLS["quick"], cnngen.Protocol)
    meter = cnngen.Meter(country="FRA")
    trained = cnngen.train(network, data, quick, meter=meter)
    assert_type(trained, cnngen.Trained)
    record = assert_type(trained.record, cnngen.Record)
    energy = assert_type(record.energy, cnngen.Energy | None)
    assert_type(energy.total_energy if energy else 0.0, float)
    assert_type(cnngen.save(folder, record, network, trained.source), Path)
    runs = assert_type(cnngen.load(folder), cnngen.Runs)
    assert_type(runs[0], cnngen.Record)
    assert_type(runs[:2], list[cnngen.Record])
    return runs


def compare(network: cnngen.Network, folder: Path) -> cnngen.Comparison:
    """Backends."""
    names = assert_type(cnngen.backend_names(), list[str])
    backend = assert_type(cnngen.get_backend(names[0]), cnngen.Backend)
    assert_type(backend.emit(network), str)
    data, quick = cnngen.load_data("digits"), cnngen.PROTOCOLS["quick"]
    assert_type(cnngen.compare([network], data, quick, names, folder=folder), cnngen.Comparison)
    return cnngen.read_comparison(folder)


def adopt(path: Path, folder: Path) -> cnngen.Network:
    """Models of other programs."""
    imported = assert_type(cnngen.import_model(path, input_shape=(8, 8, 1)), cnngen.Imported)
    assert_type(imported.save(folder / "net.cnn"), Path)
    assert_type(imported.difference, float)
    return imported.network


def ask(network: cnngen.Network) -> float:
    """The benchmark of search methods."""
    bench = assert_type(cnngen.benchmark("digits"), cnngen.Benchmark)
    return assert_type(bench.query(network, epochs=9).accuracy, float)
