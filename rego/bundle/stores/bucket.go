package stores

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// retries is how often a request is sent to a store that answers that it is busy or broken.
const retries = 3

// roleTimeout is how long a request for the credentials of a role may take: outside a cloud nobody answers it.
const roleTimeout = 5 * time.Second

// pageSize is what S3 answers a listing with at most.
const pageSize = 1000

// bucket is a prefix of a bucket of an S3-compatible store.
type bucket struct {
	client *minio.Core
	name   string
	prefix string // "" or ends in a slash
}

func openBucket(u *url.URL, opts Options) (Store, error) {
	values, err := knows(u, "endpoint", "region", "insecure", "anonymous")
	if err != nil {
		return nil, err
	}
	e, err := endpointOf(values)
	if err != nil {
		return nil, err
	}
	anonymous, err := truth(values, "anonymous")
	if err != nil {
		return nil, err
	}
	prefix := strings.Trim(u.Path, "/")
	if prefix != "" {
		if err := CheckName(prefix); err != nil {
			return nil, fmt.Errorf("prefix: %w", err)
		}
		prefix += "/"
	}
	if u.Host == "" {
		return nil, errors.New("got no bucket, want s3://bucket/prefix")
	}
	client, err := minio.NewCore(e.host, &minio.Options{
		Creds: keys(anonymous, e.region), Secure: e.secure, Transport: transport(opts), Region: e.region, BucketLookup: e.lookup, MaxRetries: retries,
	})
	if err != nil {
		return nil, err
	}
	return bucket{client: client, name: u.Host, prefix: prefix}, nil
}

// endpoint is which S3-compatible store is asked.
type endpoint struct {
	host   string
	secure bool
	region string
	lookup minio.BucketLookupType
}

func endpointOf(values url.Values) (endpoint, error) {
	e := endpoint{host: "s3.amazonaws.com", secure: true, region: values.Get("region")}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if e.region == "" {
			e.region = os.Getenv(name)
		}
	}
	if e.region == "" {
		e.region = "us-east-1" // which other stores than Amazon's take too
	}
	insecure, err := truth(values, "insecure")
	if err != nil || !values.Has("endpoint") {
		return e, err
	}
	u, err := url.Parse(values.Get("endpoint"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return e, fmt.Errorf("parameter endpoint: got %q, want https://host:port", values.Get("endpoint"))
	}
	if u.Scheme == "http" && !insecure {
		return e, fmt.Errorf("parameter endpoint: got %q, want https, or insecure=true", values.Get("endpoint"))
	}
	e.host, e.secure, e.lookup = u.Host, u.Scheme == "https", minio.BucketLookupPath
	return e, nil
}

// keys come from where every program finds them: the environment, the shared file, and the role of the workload.
func keys(anonymous bool, region string) *credentials.Credentials {
	if anonymous {
		return credentials.NewStatic("", "", "", credentials.SignatureAnonymous)
	}
	role := &http.Client{Transport: through(Options{Timeout: roleTimeout}, roleProxy), Timeout: roleTimeout}
	return credentials.New(&demanded{credentials.Chain{Providers: []credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: role, Region: region},
	}}})
}

// roleProxy is the proxy for requests of credentials: none for those over HTTP, which go to the machine (169.254.169.254
// and the like) and are answered with a secret that a proxy would read. Over HTTPS, to STS, it sees nothing.
func roleProxy(req *http.Request) (*url.URL, error) {
	if req.URL.Scheme != "https" {
		return nil, nil
	}
	return http.ProxyFromEnvironment(req)
}

// demanded is a chain that has to find something: minio's goes on without credentials in silence.
type demanded struct{ credentials.Chain }

// Retrieve implements credentials.Provider.
func (d *demanded) Retrieve() (credentials.Value, error) { return d.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext implements credentials.Provider.
func (d *demanded) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	value, err := d.Chain.RetrieveWithCredContext(cc)
	if err == nil && value.AccessKeyID == "" {
		err = fmt.Errorf("got no credentials in the environment, the shared file or a role, want some or anonymous=true: %w", ErrUnauthorized)
	}
	return value, err
}

// Put signs the hash of the data, so that a store refuses what was changed on the way.
func (b bucket) Put(ctx context.Context, name string, data []byte) error {
	sum := sha256.Sum256(data)
	_, err := b.client.PutObject(ctx, b.name, b.prefix+name, bytes.NewReader(data), int64(len(data)), "", hex.EncodeToString(sum[:]),
		minio.PutObjectOptions{DisableContentSha256: true}) // the hash is given: nothing is signed in chunks
	return ofBucket(err)
}

// Get implements [Store].
func (b bucket) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	body, info, _, err := b.client.GetObject(ctx, b.name, b.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, ofBucket(err)
	}
	defer body.Close()
	if info.Size > most {
		return nil, fmt.Errorf("got %d bytes, want at most %d: %w", info.Size, most, ErrTooLarge)
	}
	data, err := readAll(body, most)
	return data, ofBucket(err)
}

// List implements [Store].
func (b bucket) List(ctx context.Context, prefix, after string, most int) ([]Entry, error) {
	var found []Entry
	owner := false
	opts := minio.ListObjectsOptions{Prefix: b.prefix + prefix, Recursive: true, MaxKeys: min(pageSize, max(most, 1)), FetchOwner: &owner}
	if after != "" {
		opts.StartAfter = b.prefix + after
	}
	seen := 0
	for object := range b.client.ListObjectsIter(ctx, b.name, opts) {
		if object.Err != nil {
			return nil, ofBucket(object.Err)
		}
		if seen++; seen > maxListed {
			return nil, fmt.Errorf("got more than %d objects: %w", maxListed, ErrTooLarge)
		}
		name, ok := strings.CutPrefix(object.Key, b.prefix)
		if !ok || !asked(name, prefix, after) {
			continue
		}
		if found = append(found, Entry{Name: name, Size: object.Size, Modified: object.LastModified}); len(found) >= most {
			break
		}
	}
	return page(found, most), ctx.Err()
}

// ofBucket makes the store's errors of those of S3.
func ofBucket(err error) error {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return err
	}
	switch said := fmt.Errorf("status %d, %s: %s", answer.StatusCode, answer.Code, answer.Message); {
	case answer.StatusCode/100 == 3:
		return fmt.Errorf("%w: got a redirect, want the endpoint and region where the bucket is", said)
	case answer.StatusCode == http.StatusNotFound, answer.Code == minio.NoSuchKey, answer.Code == minio.NoSuchBucket:
		return fmt.Errorf("%w: %w", ErrNotFound, said)
	case answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", ErrUnauthorized, said)
	default:
		return said
	}
}
