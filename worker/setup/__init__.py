"""The set-up of an installation: questions, answers, the files that follow from them, and checks that they work."""
