"""The preview of a quarter: who would meet whom and when, who gets which mail, and what stands in the way."""
