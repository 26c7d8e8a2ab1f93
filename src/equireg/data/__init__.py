"""From raw folders to arrays that training reads: layouts, volumes, preparation, splits, loading."""
