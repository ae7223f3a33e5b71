"""What a training needs, whatever the framework: data, protocol, progress, energy."""
