"""The subjects of the speed bench, by what they measure."""
