"""Sources, one module each; the module's name is the plug-in's name."""
