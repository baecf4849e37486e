"""Templates, assets and texts of the console: files only, read through `appliance.assets`."""
