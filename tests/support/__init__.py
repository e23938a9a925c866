"""What tests share: databases, clocks, doors, servers. Nothing here stands in for a real part but the clock."""
