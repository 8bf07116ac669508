"""Google Workspace: Calendar and Gmail."""
