"""What the operator asks for: checks of the installation, the state of the service, coverage by group."""
