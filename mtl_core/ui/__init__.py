"""What the pages are made of: the frame, forms from declarations, live views. The only part that imports Streamlit."""
