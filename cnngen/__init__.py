"""CNNGen."""
