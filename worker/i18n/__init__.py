"""Translations: languages with their texts and dates, and the domain's reasons as sentences."""
