"""What the study will take: parameters, steps, time, memory and energy, counted or rehearsed."""
