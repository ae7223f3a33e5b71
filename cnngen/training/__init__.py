"""Training, independent of the framework: data, protocol, progress and energy."""
