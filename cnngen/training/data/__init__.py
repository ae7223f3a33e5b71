"""Data sets: loads images with labels from files or downloads into arrays in memory."""

from cnngen.training.data.dataset import Dataset, Splits, save_npz, splits
from cnngen.training.data.load import dataset_files, known_datasets, load_data

__all__ = [
    "Dataset",
    "Splits",
    "dataset_files",
    "known_datasets",
    "load_data",
    "save_npz",
    "splits",
]
