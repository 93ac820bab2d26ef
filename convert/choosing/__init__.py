"""Which type each tensor gets: recipes, built in or a user's, and importance matrices."""
