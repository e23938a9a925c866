"""What tests share: databases, clocks, endpoints, servers. Nothing here stands in for a real part but the clock."""
