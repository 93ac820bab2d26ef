"""Choice of each tensor's type: built-in recipes, user recipes, and importance matrices."""
