"""The whole product under a mixed load for minutes: faults, kills, a drain; every answer explained, books exact."""
