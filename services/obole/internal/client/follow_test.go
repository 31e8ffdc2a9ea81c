package client_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// told is a stream that says some numbers and then ends.
type told struct {
	grpc.ClientStream

	numbers []int
	end     error
}

func (s *told) Recv() (*int, error) {
	if len(s.numbers) == 0 {
		return nil, s.end
	}
	n := s.numbers[0]
	s.numbers = s.numbers[1:]
	return &n, nil
}

// TestFollow: a call's deadline ends no watch; everything else does, and what was told is handed on.
func TestFollow(t *testing.T) {
	t.Parallel()
	late, down := fault.New(fault.KindDeadline, "", "the hour is over"), fault.Unavailable("the market is down")
	full := errors.New("the disk is full")
	for name, test := range map[string]struct {
		streams []*told
		fails   int // the number that cannot be handed on
		want    []int
		err     error
	}{
		"an hour and more": {[]*told{{numbers: []int{1, 2}, end: late}, {end: late}, {numbers: []int{3}, end: io.EOF}}, 0, []int{1, 2, 3}, nil},
		"the market stops": {[]*told{{numbers: []int{1}, end: down}}, 0, []int{1}, down},
		"no second call":   {[]*told{{numbers: []int{1}, end: late}}, 0, []int{1}, down},
		"nowhere to go":    {[]*told{{numbers: []int{1, 2, 3}, end: io.EOF}}, 2, []int{1}, full},
	} {
		var got []int
		err := client.Follow(t.Context(), func() (grpc.ServerStreamingClient[int], error) {
			if len(test.streams) == 0 {
				return nil, down
			}
			s := test.streams[0]
			test.streams = test.streams[1:]
			return s, nil
		}, func(n *int) error {
			if *n == test.fails {
				return full
			}
			got = append(got, *n)
			return nil
		})
		if !errors.Is(err, test.err) || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := client.Follow(ctx, func() (grpc.ServerStreamingClient[int], error) { return &told{end: context.Canceled}, nil }, nil); err != nil {
		t.Errorf("told to stop: %v", err)
	}
}
