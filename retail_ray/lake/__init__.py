"""The lake: Parquet by table, business day and site. The only room that knows pyarrow and duckdb."""
