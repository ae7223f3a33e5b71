"""Trainings and what is kept of them: records, folders of runs, their index, campaigns."""
