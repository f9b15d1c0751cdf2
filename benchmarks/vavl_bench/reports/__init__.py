"""Reports for people and programs: terminal, CSV, Markdown, one HTML page. The JSON file is the record itself."""
