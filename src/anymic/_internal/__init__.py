"""What several packages need and no user does: settings, threads, processes, records of runs."""
