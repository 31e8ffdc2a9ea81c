// Package place is the layout of a data folder: what a market on one machine keeps, and where those who talk to it look.
package place

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is a data folder.
type Folder string

// Default is ~/.obole. For root it is /var/lib/obole: the database runs as another user, who must be able to get there.
func Default() (Folder, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/obole", nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home folder for the data, name one with --data: %w", err)
	}
	return Folder(filepath.Join(home, ".obole")), nil
}

// Admin is the client that may ask the issuer for anybody's token: who can read the folder owns the market.
const Admin = "obole"

// Postgres is the folder of the database server.
func (f Folder) Postgres() string { return filepath.Join(string(f), "postgres") }

// Broker is the folder of topics and groups.
func (f Folder) Broker() string { return filepath.Join(string(f), "broker") }

// Issuer is the folder of the issuer's key and of its clients' secrets.
func (f Folder) Issuer() string { return filepath.Join(string(f), "issuer") }

// Keys is the folder of the key-encryption keys. Whoever loses it has forgotten everybody.
func (f Folder) Keys() string { return filepath.Join(string(f), "keys") }

// Cells is the file that says where the network's cells stand, if the market has one.
func (f Folder) Cells() string { return filepath.Join(string(f), "cells.csv") }

// Log is the file of the services' log lines.
func (f Folder) Log() string { return filepath.Join(string(f), "obole.log") }

// Secret is the file of the admin client's secret.
func (f Folder) Secret() string { return filepath.Join(f.Issuer(), Admin+".secret") }

// Running says where everything of a running market answers. It holds no secret.
type Running struct {
	Process  int               `json:"process"`
	Issuer   string            `json:"issuer"`   // URL
	Services map[string]string `json:"services"` // gRPC addresses
	Page     string            `json:"page"`     // URL
	Broker   string            `json:"broker"`
	Socket   string            `json:"socket"` // URL of the database server for role and database "postgres", over its Unix socket
	Log      string            `json:"log"`
}

// ErrStopped says that no market runs on the folder.
var ErrStopped = errors.New("no market runs")

func (f Folder) running() string { return filepath.Join(string(f), "running.json") }

// Running reads where the market answers. One that was killed has left its addresses behind: nobody answers there.
func (f Folder) Running() (Running, error) {
	var r Running
	b, err := os.ReadFile(f.running())
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("%w on %s: start it with obole up, or name another with --data", ErrStopped, f)
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s: %w", f.running(), err)
	}
	return r, nil
}

// Announce writes where the market answers.
func (f Folder) Announce(r Running) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	fresh := f.running() + ".new"
	if err := os.WriteFile(fresh, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, f.running())
}

// Retract removes what Announce wrote.
func (f Folder) Retract() error {
	if err := os.Remove(f.running()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
