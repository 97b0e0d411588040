"""The one transformer: its two parameterisations, its parameter tree, its presets."""
