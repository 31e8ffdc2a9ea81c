// Package maven fetches published artifacts with the Maven that is installed, through whatever mirror its owner has
// set up, into a folder of this machine's cache.
package maven

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/obole-market/obole/pkg/embedded/internal/child"
)

// ErrMissing says that there is no Maven on this machine.
var ErrMissing = errors.New("mvn is not in PATH")

// plugin does the copying; pinned, for Maven would take its newest.
const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"

// Copy puts one artifact, named group:artifact:version, into a folder.
func Copy(ctx context.Context, artifact, dir string) error {
	return run(ctx, dir, plugin+":copy", "-Dartifact="+artifact, "-Dmdep.useBaseVersion=true")
}

// Dependencies puts the jars that a pom names, and theirs, into a folder.
func Dependencies(ctx context.Context, pom []byte, dir string) error {
	file := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(file, pom, 0o600); err != nil {
		return err
	}
	return run(ctx, dir, plugin+":copy-dependencies", "-f", file)
}

func run(ctx context.Context, dir, goal string, args ...string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return ErrMissing
	}
	log := filepath.Join(dir, "mvn.log")
	defer os.Remove(log)
	args = append([]string{"-q", "-B", goal, "-DoutputDirectory=" + dir}, args...)
	return child.Run(ctx, child.Options{Path: mvn, Args: args, Dir: dir, Log: log})
}

// Cache is the folder for what was fetched: everybody's as root, so that a user without privileges can run what lies
// in it, else our own.
func Cache() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/obole", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "obole"), nil
}

// Once calls fill with an empty folder beside the named one of the cache and renames it when all went well, so that
// whoever finds the folder finds it whole. It returns the folder; one that stands already is taken as it is.
func Once(name string, fill func(dir string) error) (string, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(cache, name+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", err
	}
	if err := fill(tmp); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			return "", err
		}
	}
	return dir, nil
}
