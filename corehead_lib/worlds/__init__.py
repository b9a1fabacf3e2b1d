"""Generated worlds: scenes, documents, clips, haystacks and chores, each drawn from a seed."""
