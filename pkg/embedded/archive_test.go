package embedded

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// pack makes a jar with one xz-compressed tar of the entries and returns its path and hash.
func pack(t *testing.T, entries ...tar.Header) (string, string) {
	t.Helper()
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	f, err := z.Create("postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	x, err := xz.NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(x)
	for _, h := range entries {
		h.Size = int64(len(h.Name))
		if h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []interface{ Close() error }{w, x, z} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "a.jar")
	if err := os.WriteFile(path, jar.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(jar.Bytes())
	return path, hex.EncodeToString(sum[:])
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	good := []tar.Header{
		{Typeflag: tar.TypeDir, Name: "./bin/", Mode: 0o700},
		{Typeflag: tar.TypeReg, Name: "./bin/postgres", Mode: 0o755},
		{Typeflag: tar.TypeSymlink, Name: "./bin/postmaster", Linkname: "postgres"},
	}
	t.Run("whole", func(t *testing.T) {
		t.Parallel()
		jar, sum := pack(t, good...)
		dir := t.TempDir()
		if err := unpack(context.Background(), jar, sum, dir); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "bin", "postmaster"))
		if err != nil || string(b) != "./bin/postgres" {
			t.Errorf("%q, %v", b, err)
		}
		if fi, err := os.Stat(filepath.Join(dir, "bin", "postgres")); err != nil || fi.Mode().Perm()&0o555 != 0o555 {
			t.Errorf("not for everybody to run: %v, %v", fi.Mode(), err)
		}
	})
	t.Run("altered", func(t *testing.T) {
		t.Parallel()
		jar, _ := pack(t, good...)
		dir := t.TempDir()
		err := unpack(context.Background(), jar, strings.Repeat("0", 64), dir)
		if err == nil || !strings.Contains(err.Error(), "SHA-256") {
			t.Errorf("got %v", err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Error("something was unpacked all the same")
		}
	})
	t.Run("out of the folder", func(t *testing.T) {
		t.Parallel()
		jar, sum := pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "../out", Mode: 0o644})
		dir := filepath.Join(t.TempDir(), "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unpack(context.Background(), jar, sum, dir); err == nil {
			t.Error("it was let out")
		}
	})
}
