"""A small project of Django's."""
