"""History → finding → verdict → assessment: pure, one question a file. Nothing here measures, waits or writes."""
