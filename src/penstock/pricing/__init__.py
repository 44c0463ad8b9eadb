"""What it is worth: index, mark, premium, options. Floats live here, and never below."""
