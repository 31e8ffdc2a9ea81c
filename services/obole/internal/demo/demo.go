package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/obole/internal/finance"
	"github.com/obole-market/obole/services/obole/internal/house"
	"github.com/obole-market/obole/services/obole/internal/place"
)

// Demo is the command.
type Demo struct {
	Stay *bool `negatable:"" help:"Leave the market running afterwards, until Ctrl-C, to look around in it. Unless told, it stays where somebody sits at a terminal."`
	Port int   `default:"0" placeholder:"N" help:"First of seven ports in a row; 0, as it is unless told, takes free ones."`
}

// Help has the examples.
func (*Demo) Help() string {
	return `On a new market of its own: the people of a published study bring their measurements, three buyers bid, people accept, some in
part; packages are fetched, their receipts signed, the keys released, the rows opened and paid for. One person's steps are
delivered day after day until that person withdraws, and asks to be paid. Finance proves every balance from the events. The measurements are real;
ages, countries, rules, answers, buyers and three people's mobile data are made up. With --data the market is kept in that folder, which must be new.

Examples:
  obole demo
  obole demo --data ./demo --stay       # then open the page, or in another shell: obole --data ./demo finance balance
  obole demo --json`
}

// Run plays.
func (c *Demo) Run(ctx context.Context, s *client.Session) (err error) {
	began := time.Now()
	kept := s.Data != ""
	folder, give, err := stageFor(s.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, give()) }()
	s.Data = folder
	rules := filepath.Join(folder, "policy")
	if err := atOnce(rules); err != nil {
		return err
	}
	if err := cells(place.Folder(folder)); err != nil {
		return err
	}
	told := ctx // to stop, by whoever runs it
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- house.Run(ctx, house.Options{
			Data: place.Folder(folder), Port: c.Port, Policy: rules, Say: func(step string) { fmt.Fprintln(s.Err, "obole:", step) },
			Ready: func(place.Running) error { close(ready); return nil },
		})
	}()
	var p *play
	select {
	case err = <-ended:
		ended <- nil
	case <-ready:
		p, err = act(ctx, s, filepath.Join(folder, "packages"))
	}
	if err == nil {
		p.say("\nPlayed in %s.\n", time.Since(began).Round(100*time.Millisecond))
	}
	if err == nil && c.stays(s) {
		if err = p.tellPage(place.Folder(folder)); err == nil {
			fmt.Fprintf(s.Err, "obole: the market of %s stays until Ctrl-C\n", folder)
			select {
			case <-told.Done():
			case end := <-ended:
				ended <- end
			}
		}
	}
	s.Close()
	stop()
	switch end := <-ended; {
	case err != nil && told.Err() != nil: // whatever it was that did not answer any more
		err = errors.Join(client.ErrStopped, end)
	default:
		err = errors.Join(err, end)
	}
	if err == nil {
		p.tellEnd(folder, kept, c.stays(s))
	}
	return err
}

// stays says whether the market is to be looked at afterwards: by who asked for it, or sits at a terminal.
func (c *Demo) stays(s *client.Session) bool {
	if c.Stay != nil {
		return *c.Stay
	}
	in, isIn := s.In.(*os.File)
	out, isOut := s.Out.(*os.File)
	return !s.JSON && isIn && isOut && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))
}

// act plays the story and tells what came of it.
func act(ctx context.Context, s *client.Session, packages string) (*play, error) {
	p, err := newPlay(s, packages)
	if err != nil {
		return nil, err
	}
	for _, scene := range []func(context.Context) error{p.buyersBid, p.peopleJoin, p.guestsCome, p.peopleImport, p.operatorFeeds, p.peopleAnswer, p.packagesCome, p.daysFollow, p.moneyArrives, p.onePaid, p.tell} {
		if err := scene(ctx); err != nil {
			return nil, err
		}
	}
	p.say("\nFinance replays the stream\n")
	return p, finance.Prove(ctx, s)
}

// stageFor makes the folder of the market: the one that is named, which must hold nothing yet, or one that is thrown away.
func stageFor(named string) (folder string, give func() error, err error) {
	if named != "" {
		entries, err := os.ReadDir(named)
		if err == nil && len(entries) > 0 {
			return "", nil, client.Usage("%s is not empty: the demonstration begins on a new market", named)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", nil, client.Usage("%w", err)
		}
		if err := os.MkdirAll(named, 0o711); err != nil {
			return "", nil, err
		}
		return named, func() error { return nil }, nil
	}
	folder, err = os.MkdirTemp("", "obole-demo-")
	if err != nil {
		return "", nil, err
	}
	give = func() error { return os.RemoveAll(folder) }
	if err := os.Chmod(folder, 0o711); err != nil { // the database's user passes through
		return "", nil, errors.Join(err, give())
	}
	return folder, give, nil
}

// atOnce writes the built-in policy packs with no days of waiting: what was earned is available within the demonstration.
func atOnce(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return fs.WalkDir(policy.BuiltIn(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(policy.BuiltIn(), name)
		if err != nil {
			return err
		}
		pack := map[string]any{}
		if err := json.Unmarshal(b, &pack); err != nil {
			return err
		}
		pack["dispute_days"] = map[string]any{"value": 0, "source": "the demonstration"}
		if b, err = json.Marshal(pack); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, filepath.Base(name)), b, 0o600)
	})
}
