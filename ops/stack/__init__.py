"""The whole system on one machine: embedded Postgres and Redis, every program, the simulator."""
