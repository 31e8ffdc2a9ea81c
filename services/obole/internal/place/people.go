package place

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/obole-market/obole/pkg/id"
)

// Someone is who may sign in to the page of a market on one machine.
type Someone struct {
	Subject string   `json:"subject"`
	Label   string   `json:"label"` // on the page where people choose who to be; nothing personal
	Roles   []string `json:"roles"` // as tokens spell them
}

// Staff is the subject of one of the operator's people: ids that say nothing, and the same in every run.
func Staff(name string) string { return id.Derive([]byte("staff"), []byte(name)).String() }

// Guests is the file of those who may sign in, one a line, the newest line of each being true.
func (f Folder) Guests() string { return filepath.Join(string(f), "people.jsonl") }

// Welcome adds somebody, or gives them another label. Several processes may do so at a time: a line is one write.
func (f Folder) Welcome(all ...Someone) error {
	file, err := os.OpenFile(f.Guests(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	for _, s := range all {
		line, err := json.Marshal(s)
		if err != nil {
			return errors.Join(err, file.Close())
		}
		if _, err := file.Write(append(line, '\n')); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	return file.Close()
}

// People reads who may sign in, in the order in which they came.
func (f Folder) People() ([]Someone, error) {
	file, err := os.Open(f.Guests())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []Someone
	at := map[string]int{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var s Someone
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Guests(), err)
		}
		if n, known := at[s.Subject]; known {
			all[n] = s
			continue
		}
		at[s.Subject] = len(all)
		all = append(all, s)
	}
	return all, lines.Err()
}
