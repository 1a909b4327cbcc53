// Package distribute_test tells how policies travel: from real stores to webhooks and peers, with
// real signers, as processes on loopback.
package distribute_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/e2e/loopback"
	"github.com/assay-dev/assay/e2e/nginx"
	"github.com/assay-dev/assay/e2e/registry"
	"github.com/assay-dev/assay/e2e/s3"
	"github.com/assay-dev/assay/e2e/sigstore"
	"github.com/assay-dev/assay/e2e/tools"
)

// TestStories are told in testdata/*.txtar. Beside what every testscript has, they may say:
//
//	nginx [token=TOKEN] [certificates]  start nginx: $nginx and $elsewhere are URLs, $nginx_cert and
//	                        $nginx_key files of a client that it accepts
//	publish FILE NAME       let it serve a file
//	fault KIND              let nginx fail: 500, flap, stall, redirect, loop, downgrade or down; none ends that
//	kept PATH REGEXP        wait until a line of JSON that it was sent to PATH, logs or status, matches
//	keep PATH FILE          write all such lines to a file
//	asked N REGEXP          wait for N more lines METHOD URL STATUS of its log
//	unasked REGEXP          want no such line
//	stalled N               wait until it is sending N answers or more
//	s3 BUCKET               start an S3: $s3 is the URL of the bucket, $store its name for assay,
//	                        AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION are its account
//	put FILE KEY            write a file to the bucket
//	objects FILE            write names and contents of all its objects to a file, unpacked
//	registry [down]         start docker-registry, $registry, or end it
//	sigstore                start a Sigstore: $issuer, $fulcio, $rekor, $timestamps, trusted_root.json,
//	                        signing_config.json, and in trustroot.yaml the same as TrustRoot sigstore
//	login VARIABLE EMAIL    get a token for an identity
//	push NAME FILE REPOSITORY:TAG  assay push: $NAME is what it prints
//	cosign2 ARG…, cosign3 ARG…     run cosign v2 or v3
//	pack FILE DIR           make a tarball of a directory, whatever there is
//	unpack FILE DIR         write the files of one
//	corrupt FILE            change a byte in the middle
//	halve FILE              cut it in the middle
//	hostile FILE KIND       make a bundle that is a bomb or too large, leads out or has a link
//	key NAME                write NAME.pem and NAME.pub
//	expand FILE…            put variables into files
//	server NAME [KEY=VALUE…] ARG…  start assay serve with an environment, wait until it answers
//	peer NAME FILE          start opa with the configuration of a file, wait until its bundles are active
//	crash NAME              send one SIGKILL
//	says NAME IMAGE REGEXP  review a Pod with an image, or the request of a file *.yaml, until the
//	                        answer matches: allowed, or why not
//	still NAME IMAGE REGEXP review it once
//	get NAME PATH REGEXP    read a page until it matches
//	metric VARIABLE NAME SERIES    what a metric says, as part of a REGEXP
//	moved NAME SERIES VALUE wait until it says another
//	ago NAME SERIES SECONDS wait until a metric that is a time is so long ago
//	logged NAME REGEXP      wait for a line of its log
//	ask NAME PATH FILE      send an input to the Data API, print the answer
//	until REGEXP ARG…       run assay until it succeeds, and a line of what it prints matches
//	assay ARG…, opa ARG…    run one of them
func TestStories(t *testing.T) {
	t.Parallel()
	assay, err := build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("COSIGN_PASSWORD", "none")
			env.Setenv("PATH", filepath.Dir(assay)+string(os.PathListSeparator)+env.Getenv("PATH"))
			s := &story{assay: assay, t: env.T().(testing.TB), env: env, servers: map[string]*server{}}
			env.Values[storyKey{}] = s
			var err error
			if s.network, err = loopback.Claim(); err != nil {
				return err
			}
			env.Defer(s.network.Release)
			s.authority, err = cluster.NewAuthority("servers of a test")
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"nginx":    told("[token=TOKEN] [certificates]", 0, startNginx),
			"publish":  told("FILE NAME", 2, publish),
			"fault":    told("KIND", 1, fault),
			"kept":     told("PATH REGEXP", 2, kept),
			"keep":     told("PATH FILE", 2, keep),
			"asked":    told("N REGEXP", 2, asked),
			"unasked":  told("REGEXP", 1, unasked),
			"stalled":  told("N", 1, stalled),
			"s3":       told("BUCKET", 1, startS3),
			"put":      told("FILE KEY", 2, put),
			"objects":  told("FILE", 1, objects),
			"registry": told("[down]", 0, startRegistry),
			"sigstore": told("", 0, startSigstore),
			"login":    told("VARIABLE EMAIL", 2, login),
			"push":     told("NAME FILE REPOSITORY:TAG", 3, push),
			"cosign2":  program(sigstore.Cosign2),
			"cosign3":  program(sigstore.Cosign3),
			"pack":     told("FILE DIR", 2, pack),
			"unpack":   told("FILE DIR", 2, unpack),
			"corrupt":  told("FILE", 1, corrupt),
			"halve":    told("FILE", 1, halve),
			"hostile":  told("FILE KIND", 2, hostile),
			"key":      told("NAME", 1, mintKey),
			"expand":   told("FILE…", 1, expand),
			"server":   told("NAME [KEY=VALUE…] ARG…", 2, startServer),
			"peer":     told("NAME FILE", 2, startPeer),
			"crash":    told("NAME", 1, crash),
			"says":     told("NAME IMAGE REGEXP", 3, says),
			"still":    told("NAME IMAGE REGEXP", 3, still),
			"get":      told("NAME PATH REGEXP", 3, get),
			"metric":   told("VARIABLE NAME SERIES", 3, metric),
			"moved":    told("NAME SERIES VALUE", 3, moved),
			"ago":      told("NAME SERIES SECONDS", 3, ago),
			"logged":   told("NAME REGEXP", 2, logged),
			"ask":      told("NAME PATH FILE", 3, ask),
			"until":    told("REGEXP ARG…", 2, untilPrinted),
			"assay":    program(func(context.Context) (string, error) { return assay, nil }),
			"opa":      program(opa),
		},
	})
}

// story is what one script has running.
type story struct {
	assay     string // path of the binary
	t         testing.TB
	env       *testscript.Env
	network   loopback.Network
	authority *cluster.Authority
	nginx     *nginx.Server
	s3        *s3.Server
	bucket    string
	registry  *registry.Registry
	sigstore  *sigstore.Sigstore
	servers   map[string]*server
	roots     []byte // PEM
}

type storyKey struct{}

func of(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

// told makes a command of a function that wants at least so many arguments and cannot be negated.
func told(usage string, least int, run func(*testscript.TestScript, *story, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < least {
			ts.Fatalf("usage: %s, not negated", usage)
		}
		run(ts, of(ts), args)
	}
}

// program makes a command of one. Negated, it has to fail.
func program(build func(context.Context) (string, error)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		path, err := build(of(ts).t.Context())
		ts.Check(err)
		if err := ts.Exec(path, args...); !neg {
			ts.Check(err)
		} else if err == nil {
			ts.Fatalf("got success, want a failure")
		}
	}
}

// untilPrinted asks a program that prints what is so, until it prints what should be.
func untilPrinted(ts *testscript.TestScript, s *story, args []string) {
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	until(ts, func() error {
		command := exec.CommandContext(s.t.Context(), s.assay, args[1:]...)
		command.Dir, command.Env = ts.MkAbs("."), s.env.Vars
		out, err := command.Output()
		if err == nil && pattern.Match(out) {
			_, err = ts.Stdout().Write(out)
			return err
		}
		return errors.Join(err, fmt.Errorf("assay %s: got no %s in:\n%s", strings.Join(args[1:], " "), pattern, out))
	})
}

// build builds the binary as it ships, and not at all where it is up to date.
func build(ctx context.Context) (string, error) {
	bin, err := filepath.Abs(filepath.Join("..", ".assay", "bin", "assay"))
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "./cmd/assay")
	command.Dir = filepath.Join("..", "..")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

// opa builds the one that OPA's users run, unless it is up to date, and gives its path.
func opa(ctx context.Context) (string, error) {
	module, err := tools.Find(".opa")
	if err != nil {
		return "", err
	}
	bin, err := module.Build(ctx, "")
	return filepath.Join(bin, "opa"), err
}

// set gives a variable to the script, and to what it starts.
func (s *story) set(ts *testscript.TestScript, name, value string) {
	ts.Setenv(name, value)
	s.env.Vars = append(slices.Clip(s.env.Vars), name+"="+value)
}

// believe adds a certificate authority, a PEM file, to those that assay, opa and cosign know.
// Nothing that they ask has a certificate of others.
func (s *story) believe(ts *testscript.TestScript, file string) {
	authority, err := os.ReadFile(file)
	ts.Check(err)
	s.roots = append(s.roots, authority...)
	ts.Check(os.WriteFile(ts.MkAbs("roots.pem"), s.roots, 0o600))
	s.set(ts, "SSL_CERT_FILE", ts.MkAbs("roots.pem"))
}

var variable = regexp.MustCompile(`\$\{[^{}]+\}`)

// expand puts the variables of the story into files: ${key:NAME} is what NAME.pub holds, in quotes
// of JSON or YAML. What it does not know stays.
func expand(ts *testscript.TestScript, _ *story, files []string) {
	for _, file := range files {
		text := variable.ReplaceAllStringFunc(ts.ReadFile(file), func(match string) string {
			name := match[len("${") : len(match)-len("}")]
			if key, ok := strings.CutPrefix(name, "key:"); ok {
				return strings.ReplaceAll(ts.ReadFile(key+".pub"), "\n", `\n`)
			}
			if value := ts.Getenv(name); value != "" {
				return value
			}
			return match
		})
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

// patience is how long a story waits for what must happen. Nothing waits for it when all is well.
const patience = 2 * time.Minute

// until asks until there is no error.
func until(ts *testscript.TestScript, ask func() error) {
	for deadline := time.Now().Add(patience); ; {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("within %s: %v", patience, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// compact prints JSON as one line, with its keys in order.
func compact(text []byte) ([]byte, error) {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	var out bytes.Buffer
	err := json.NewEncoder(&out).Encode(value)
	return out.Bytes(), err
}
