package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/obole/internal/place"
)

// guestsCome: whoever takes part may sign in to the page.
func (p *play) guestsCome(context.Context) error {
	for _, a := range p.buyers {
		if err := p.s.Welcome(client.Buyer(a.key.Buyer), a.name); err != nil {
			return err
		}
		if err := a.key.Save(p.keyFile(a)); err != nil {
			return err
		}
	}
	for _, who := range p.people {
		if err := p.s.Welcome(client.Person(who.id), who.label()); err != nil {
			return err
		}
	}
	return nil
}

// label is what the page that asks who to be shows: the participant's number in the study, and what is made up.
func (who *person) label() string {
	born := "age unknown"
	if who.Born != "" {
		born = "born " + who.Born[:4]
	}
	return fmt.Sprintf("Participant %s, %s, %s", who.Participant, who.Country, born)
}

// keyFile is where a buyer's keys are: the page opens packages with them, on the buyer's own machine.
func (p *play) keyFile(a *actor) string { return filepath.Join(p.dir, a.key.Key+".key") }

// tellPage says where the page is and as whom it is worth a look.
func (p *play) tellPage(data place.Folder) error {
	running, err := data.Running()
	if err == nil {
		p.say("\nThe page: %s\n", running.Page)
		p.tellGuests()
	}
	return err
}

// tellEnd says that the market has ended, what is left of it, and to whom it has not stayed, how one can be looked at.
func (p *play) tellEnd(folder string, kept, stayed bool) {
	if kept {
		p.say("\nThe market has ended; %s keeps it. obole up --data %s runs it again, and says where its page is.\n", folder, folder)
	} else {
		p.say("\nThe market has ended, and nothing of it is left.\n")
	}
	switch {
	case stayed:
	case kept:
		p.tellGuests()
	default:
		p.say("To look around in one: obole demo --stay leaves it running, with its page, until Ctrl-C; obole demo --data DIR keeps it in a folder.\n")
	}
}

// tellGuests says who may sign in to the page.
func (p *play) tellGuests() {
	p.say("It asks for no password. Sign in as one of these, or as any other of %d people, or as somebody new:\n", len(p.people))
	shown := func(what string, is func(*person) bool) {
		if n := slices.IndexFunc(p.people, is); n >= 0 {
			p.say("  %-42s %s\n", p.people[n].label(), what)
		}
	}
	shown("sees calls, places and data use as well", func(w *person) bool { return slices.Contains(p.Mobile, w.Participant) })
	shown("delivered day after day, then withdrew", func(w *person) bool { return w.Participant == p.Walker.Participant })
	shown("accepted in part", func(w *person) bool { return len(w.Without) > 0 })
	shown("a floor hides offers", func(w *person) bool { return len(w.Floors) > 0 })
	shown("under 18: nothing paid is offered", func(w *person) bool { return w.answer.GetNotEligible() != 0 && w.Born != "" })
	for _, a := range p.buyers {
		p.say("  %-42s a buyer; keys in %s\n", a.name, p.keyFile(a))
	}
	p.say("  %-42s of the operator\n", "Finance, Operator, Auditor")
	if data, err := p.s.Folder(); err == nil {
		p.say("Their ids, which the commands take, are in %s.\n", data.Guests())
	}
}
