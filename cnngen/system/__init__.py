"""The machine below: processes, files that appear whole, locks, plugins. Knows no network."""
