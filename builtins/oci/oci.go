// Package oci is the registry edge: it turns an image reference and somebody's credentials into bytes whose hash
// is known, and into nothing else.
//
// What it is for. [Client.Resolve] answers which digest a tag names, [Client.Signatures] and [Client.Attestations]
// read what cosign keeps under the tags sha256-<hex>.sig and sha256-<hex>.att, [Client.Bundles] reads Sigstore
// bundles from the referrers API of OCI 1.1 or from its fallback tag; a [Place] says where, if not beside the image.
// [Client.Manifest], [Client.Index], [Client.Config] and [Client.Configs] read what an image says of itself, [Client.Blob] any
// blob, [Client.Files] files out of its layers, and [Client.Referrers] what says that it is about the image. [Parse] says what a
// reference means, without any network. Nothing here is verified: the bytes of a [List] are a claim until a signature
// was checked.
//
// What it refuses. Whoever may create a Pod chooses which hosts are dialled and what they answer, so every dial,
// also of a redirect or of a token realm, passes a guard after DNS (see [WithPrivateRegistries]); every body is read
// up to a bound and no further; what is named by a digest must hash to it; what is named by a tag is hashed here and
// never believed from a header. More than [MaxLayers] signatures are refused before the first is fetched, and all
// bodies under way share one bound ([WithMaxInFlight]), but for layers, which pass through. Each refusal is an [Error] with one [Code] of a closed list.
//
// What it refuses in part. Anyone who may push beside a good signature may push a broken one, so a layer or referrer
// that cannot be had is a [Layer] with an Err among its siblings, also where the caller's deadline is what ended it. A
// List fails as a whole only where what it lists cannot be known, or is too much. Whoever reads a List must look at
// each Err: a list of errors is not an empty list.
//
// What it never does. It never retries, so a deadline is a deadline. It decompresses layers alone, in package layers
// and within its bounds. It uses no proxy: the proxy would resolve and dial in our place, and the guard would see
// nothing but the proxy's address; HTTP_PROXY and its kin are ignored. It sends credentials to the registry they are
// for and to the token realm which that registry names, and never along a redirect. It asks for a token when a session
// with a repository begins, and answers no later challenge: an expired token begins a new session.
//
// Sharing. Concurrent calls that need the same answer share one request, which runs on a context of its own, so a
// caller who leaves takes nobody along. What a registry lists, and content by its digest, are kept in bounded memory,
// the former for a bounded time. Both are keyed by [Credentials.ID]: nothing obtained for one tenant is served to
// another. Failures are never kept.
package oci
