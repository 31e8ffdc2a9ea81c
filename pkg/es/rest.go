package es

import "time"

// Rest is how long whoever follows a log rests after a piece of work that took so long, at most so long. A piece costs about the same whatever
// it holds: the transaction or the request, and all that it wakes. By the square, what took a millisecond or two is followed by the next at
// once, and what took longer gathers, for that is how a machine with more to do than it can is seen from here.
func Rest(took, most time.Duration) time.Duration {
	if took >= time.Second { // the square would not fit for long
		return most
	}
	us := took.Microseconds()
	return min(time.Duration(us*us/1000)*time.Microsecond, most)
}
