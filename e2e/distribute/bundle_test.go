package distribute_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// pack makes a tarball of a directory as it is: no check of what it holds.
func pack(ts *testscript.TestScript, _ *story, args []string) {
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	compressed := gzip.NewWriter(file)
	archive := tar.NewWriter(compressed)
	root := ts.MkAbs(args[1])
	ts.Check(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		_, err = archive.Write(text)
		return err
	}))
	ts.Check(errors.Join(archive.Close(), compressed.Close(), file.Close()))
}

// unpack writes the files of a bundle that the story made itself.
func unpack(ts *testscript.TestScript, _ *story, args []string) {
	file, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = file.Close() }()
	compressed, err := gzip.NewReader(file)
	ts.Check(err)
	for archive := tar.NewReader(compressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		ts.Check(err)
		text, err := io.ReadAll(archive)
		ts.Check(err)
		name := filepath.Join(ts.MkAbs(args[1]), filepath.FromSlash(header.Name))
		ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
		ts.Check(os.WriteFile(name, text, 0o644))
	}
}

func corrupt(ts *testscript.TestScript, _ *story, args []string) {
	text := []byte(ts.ReadFile(args[0]))
	text[len(text)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

func halve(ts *testscript.TestScript, _ *story, args []string) {
	text := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text[:len(text)/2]), 0o600))
}

func mintKey(ts *testscript.TestScript, _ *story, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	private, err := x509.MarshalECPrivateKey(key)
	ts.Check(err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	ts.Check(err)
	for name, block := range map[string]*pem.Block{
		args[0] + ".pem": {Type: "EC PRIVATE KEY", Bytes: private}, args[0] + ".pub": {Type: "PUBLIC KEY", Bytes: public},
	} {
		ts.Check(os.WriteFile(ts.MkAbs(name), pem.EncodeToMemory(block), 0o600))
	}
}
