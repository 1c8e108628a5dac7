"""What the people who run the system run: the stack on one machine, the simulator, migrations."""
