"""Calendar and mail providers. Each module speaks to one kind of service, and depends only on the domain."""
