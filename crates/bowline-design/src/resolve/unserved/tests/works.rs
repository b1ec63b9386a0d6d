//! What is acted on: for each field a document whose meaning changes with it.
//!
//! `@` stands for what is written: once with the field, or one value of it, and once without, or with another.

pub(super) struct Works {
    pub(super) field: &'static str,
    pub(super) spec: &'static str,
    pub(super) with: &'static str,
    pub(super) without: &'static str,
}

const fn works(field: &'static str, spec: &'static str, with: &'static str, without: &'static str) -> Works {
    Works { field, spec, with, without }
}

/// A rule to service `a`, and what else it says.
const RULE: &str = "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ] @ } ] }";
const MATCH: &str = "{ hosts: [a], http: [ { match: [ { uri: { exact: /a } @ } ], route: [ { destination: { host: a } } ] } ] }";
const LEG: &str = "{ hosts: [a], http: [ { route: [ { destination: { host: a } @ } ] } ] }";
const MIRROR: &str =
    "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ], mirror: { host: b @ } } ] }";
const MIRRORS: &str = "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ], mirrors: [ { destination: { host: b @ } } ] } ] }";
const REDIRECT: &str = "{ hosts: [a], http: [ { redirect: { uri: /x @ } } ] }";
const CORS: &str = "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ], corsPolicy: { allowOrigins: [ { exact: 'https://a' } ] @ } } ] }";
const RETRIES: &str =
    "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ], retries: { attempts: 3 @ } } ] }";
const DELAY: &str =
    "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ], fault: { delay: { @ } } } ] }";
const ABORT: &str =
    "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ], fault: { abort: { @ } } } ] }";
const DELEGATES: &str = "{ hosts: [a], http: [ { delegate: { @ } }, { delegate: { name: one } }, { delegate: { name: two } }, { delegate: { name: one, namespace: far } } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: one }
spec: { http: [ { route: [ { destination: { host: c } } ] } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: two }
spec: { http: [ { route: [ { destination: { host: d } } ] } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: one, namespace: far }
spec: { http: [ { route: [ { destination: { host: e } } ] } ] }
";
const POLICY: &str = "{ host: a, trafficPolicy: { @ } }";
const SUBSETS: &str = "{ host: a, subsets: [ { @ } ] }";
const PORT: &str = "{ host: a, trafficPolicy: { portLevelSettings: [ { port: { number: @ }, connectionPool: { tcp: { maxConnections: 5 } } } ] } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: one }
spec: { hosts: [a], http: [ { route: [ { destination: { host: a, port: { number: 80 } } } ] } ] }
";
const TCP: &str = "{ host: a, trafficPolicy: { connectionPool: { tcp: { @ } } } }";
const HTTP: &str = "{ host: a, trafficPolicy: { connectionPool: { http: { @ } } } }";
const HASH: &str = "{ host: a, trafficPolicy: { loadBalancer: { consistentHash: { @ } } } }";
const WARMUP: &str =
    "{ host: a, trafficPolicy: { loadBalancer: { simple: RANDOM, warmup: { duration: 1s @ } } } }";
const OUTLIER: &str = "{ host: a, trafficPolicy: { outlierDetection: { baseEjectionTime: 9s @ } } }";
const TLS: &str = "{ host: a, trafficPolicy: { tls: { mode: SIMPLE @ } } }";
const MUTUAL: &str = "{ host: a, trafficPolicy: { tls: { mode: MUTUAL, @ } } }";
const ENTRY: &str = "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: HTTP } ], resolution: STATIC, endpoints: [ { address: 10.0.0.1 @ } ] }";
const SERVER: &str = "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: @ } } ] }";
const MUTUALLY: &str = "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: MUTUAL, credentialName: one @ } } ] }";
const PROVING: &str = "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: MUTUAL, serverCertificate: c, privateKey: k, @ } } ] }";
const GATE: &str = "{ servers: [ { hosts: ['*'], port: { number: 80, name: http, protocol: HTTP } @ } ] }";

pub(super) const ALL: &[Works] = &[
    works(
        "VirtualService.hosts",
        "{ hosts: [ a @ ], http: [ { route: [ { destination: { host: a } } ] } ] }",
        ", b",
        "",
    ),
    works(
        "VirtualService.gateways",
        "{ hosts: [ a ] @, http: [ { route: [ { destination: { host: a } } ] } ] }",
        ", gateways: [ g ]",
        "",
    ),
    works("VirtualService.http.name", RULE, ", name: n", ""),
    works("VirtualService.http.timeout", RULE, ", timeout: 1s", ""),
    works(
        "VirtualService.http.mirrorPercent",
        RULE,
        ", mirror: { host: b }, mirrorPercent: 5",
        ", mirror: { host: b }",
    ),
    works(
        "VirtualService.http.mirror_percent",
        RULE,
        ", mirror: { host: b }, mirror_percent: 5",
        ", mirror: { host: b }",
    ),
    works(
        "VirtualService.http.mirrorPercentage.value",
        RULE,
        ", mirror: { host: b }, mirrorPercentage: { value: 5 }",
        ", mirror: { host: b }",
    ),
    works("VirtualService.http.match.name", MATCH, ", name: m", ""),
    works(
        "VirtualService.http.match.uri",
        "{ hosts: [a], http: [ { match: [ { uri: { exact: @ } } ], route: [ { destination: { host: a } } ] } ] }",
        "/a",
        "/b",
    ),
    works("VirtualService.http.match.scheme", MATCH, ", scheme: { exact: http }", ""),
    works("VirtualService.http.match.method", MATCH, ", method: { exact: GET }", ""),
    works("VirtualService.http.match.authority", MATCH, ", authority: { exact: a }", ""),
    works("VirtualService.http.match.headers", MATCH, ", headers: { x-a: { exact: b } }", ""),
    works("VirtualService.http.match.withoutHeaders", MATCH, ", withoutHeaders: { x-a: { exact: b } }", ""),
    works("VirtualService.http.match.queryParams", MATCH, ", queryParams: { a: { exact: b } }", ""),
    works("VirtualService.http.match.port", MATCH, ", port: 8080", ""),
    works("VirtualService.http.match.gateways", MATCH, ", gateways: [ g ]", ""),
    works("VirtualService.http.match.ignoreUriCase", MATCH, ", ignoreUriCase: true", ""),
    works(
        "VirtualService.http.route.destination.host",
        "{ hosts: [a], http: [ { route: [ { destination: { host: @ } } ] } ] }",
        "b",
        "c",
    ),
    works(
        "VirtualService.http.route.destination.subset",
        "{ hosts: [a], http: [ { route: [ { destination: { host: a @ } } ] } ] }",
        ", subset: v1",
        "",
    ),
    works(
        "VirtualService.http.route.destination.port.number",
        "{ hosts: [a], http: [ { route: [ { destination: { host: a @ } } ] } ] }",
        ", port: { number: 80 }",
        "",
    ),
    works(
        "VirtualService.http.route.weight",
        "{ hosts: [a], http: [ { route: [ { destination: { host: a } @ }, { destination: { host: b }, weight: 1 } ] } ] }",
        ", weight: 3",
        "",
    ),
    works(
        "VirtualService.http.route.headers.request.set",
        LEG,
        ", headers: { request: { set: { x-a: b } } }",
        "",
    ),
    works(
        "VirtualService.http.route.headers.request.add",
        LEG,
        ", headers: { request: { add: { x-a: b } } }",
        "",
    ),
    works(
        "VirtualService.http.route.headers.request.remove",
        LEG,
        ", headers: { request: { remove: [ x-a ] } }",
        "",
    ),
    works(
        "VirtualService.http.route.headers.response.set",
        LEG,
        ", headers: { response: { set: { x-a: b } } }",
        "",
    ),
    works(
        "VirtualService.http.route.headers.response.add",
        LEG,
        ", headers: { response: { add: { x-a: b } } }",
        "",
    ),
    works(
        "VirtualService.http.route.headers.response.remove",
        LEG,
        ", headers: { response: { remove: [ x-a ] } }",
        "",
    ),
    works("VirtualService.http.headers.request.set", RULE, ", headers: { request: { set: { x-a: b } } }", ""),
    works("VirtualService.http.headers.request.add", RULE, ", headers: { request: { add: { x-a: b } } }", ""),
    works(
        "VirtualService.http.headers.request.remove",
        RULE,
        ", headers: { request: { remove: [ x-a ] } }",
        "",
    ),
    works(
        "VirtualService.http.headers.response.set",
        RULE,
        ", headers: { response: { set: { x-a: b } } }",
        "",
    ),
    works(
        "VirtualService.http.headers.response.add",
        RULE,
        ", headers: { response: { add: { x-a: b } } }",
        "",
    ),
    works(
        "VirtualService.http.headers.response.remove",
        RULE,
        ", headers: { response: { remove: [ x-a ] } }",
        "",
    ),
    works(
        "VirtualService.http.redirect.uri",
        "{ hosts: [a], http: [ { redirect: { authority: b @ } } ] }",
        ", uri: /x",
        "",
    ),
    works(
        "VirtualService.http.redirect.prefixRewrite",
        "{ hosts: [a], http: [ { redirect: { authority: b @ } } ] }",
        ", prefixRewrite: /x",
        "",
    ),
    works("VirtualService.http.redirect.authority", REDIRECT, ", authority: b", ""),
    works("VirtualService.http.redirect.port", REDIRECT, ", port: 81", ""),
    works("VirtualService.http.redirect.derivePort", REDIRECT, ", derivePort: FROM_REQUEST_PORT", ""),
    works("VirtualService.http.redirect.scheme", REDIRECT, ", scheme: https", ""),
    works("VirtualService.http.redirect.redirectCode", REDIRECT, ", redirectCode: 302", ""),
    works(
        "VirtualService.http.directResponse.status",
        "{ hosts: [a], http: [ { directResponse: { status: @ } } ] }",
        "204",
        "503",
    ),
    works(
        "VirtualService.http.directResponse.body.string",
        "{ hosts: [a], http: [ { directResponse: { status: 503 @ } } ] }",
        ", body: { string: x }",
        "",
    ),
    works(
        "VirtualService.http.directResponse.body.bytes",
        "{ hosts: [a], http: [ { directResponse: { status: 503 @ } } ] }",
        ", body: { bytes: eA== }",
        "",
    ),
    works("VirtualService.http.delegate.name", DELEGATES, "name: one", "name: two"),
    works("VirtualService.http.delegate.namespace", DELEGATES, "name: one, namespace: far", "name: one"),
    works("VirtualService.http.rewrite.uri", RULE, ", rewrite: { uri: /x }", ""),
    works("VirtualService.http.rewrite.authority", RULE, ", rewrite: { authority: b }", ""),
    works(
        "VirtualService.http.rewrite.uriRegexRewrite.match",
        RULE,
        ", rewrite: { uriRegexRewrite: { match: /a, rewrite: /x } }",
        ", rewrite: { uriRegexRewrite: { match: /b, rewrite: /x } }",
    ),
    works(
        "VirtualService.http.rewrite.uriRegexRewrite.rewrite",
        RULE,
        ", rewrite: { uriRegexRewrite: { match: /a, rewrite: /x } }",
        ", rewrite: { uriRegexRewrite: { match: /a, rewrite: /y } }",
    ),
    works(
        "VirtualService.http.retries.attempts",
        RULE,
        ", retries: { attempts: 4 }",
        ", retries: { attempts: 3 }",
    ),
    works("VirtualService.http.retries.perTryTimeout", RETRIES, ", perTryTimeout: 1s", ""),
    works("VirtualService.http.retries.retryOn", RETRIES, ", retryOn: 5xx", ""),
    works("VirtualService.http.retries.backoff", RETRIES, ", backoff: 1s", ""),
    works(
        "VirtualService.http.retries.retryIgnorePreviousHosts",
        RETRIES,
        ", retryIgnorePreviousHosts: false",
        ", retryIgnorePreviousHosts: true",
    ),
    works(
        "VirtualService.http.fault.delay.fixedDelay",
        DELAY,
        "fixedDelay: 1s, percentage: { value: 5 }",
        "fixedDelay: 2s, percentage: { value: 5 }",
    ),
    works(
        "VirtualService.http.fault.delay.percentage.value",
        DELAY,
        "fixedDelay: 1s, percentage: { value: 5 }",
        "fixedDelay: 1s, percentage: { value: 6 }",
    ),
    works("VirtualService.http.fault.delay.percent", DELAY, "fixedDelay: 1s, percent: 5", "fixedDelay: 1s"),
    works(
        "VirtualService.http.fault.abort.httpStatus",
        ABORT,
        "httpStatus: 503, percentage: { value: 5 }",
        "httpStatus: 500, percentage: { value: 5 }",
    ),
    works(
        "VirtualService.http.fault.abort.grpcStatus",
        ABORT,
        "grpcStatus: UNAVAILABLE, percentage: { value: 5 }",
        "grpcStatus: CANCELLED, percentage: { value: 5 }",
    ),
    works(
        "VirtualService.http.fault.abort.percentage.value",
        ABORT,
        "httpStatus: 503, percentage: { value: 5 }",
        "httpStatus: 503, percentage: { value: 6 }",
    ),
    works("VirtualService.http.mirror.host", RULE, ", mirror: { host: b }", ""),
    works("VirtualService.http.mirror.subset", MIRROR, ", subset: v1", ""),
    works("VirtualService.http.mirror.port.number", MIRROR, ", port: { number: 80 }", ""),
    works(
        "VirtualService.http.mirrors.destination.host",
        RULE,
        ", mirrors: [ { destination: { host: b } } ]",
        "",
    ),
    works("VirtualService.http.mirrors.destination.subset", MIRRORS, ", subset: v1", ""),
    works("VirtualService.http.mirrors.destination.port.number", MIRRORS, ", port: { number: 80 }", ""),
    works(
        "VirtualService.http.mirrors.percentage.value",
        RULE,
        ", mirrors: [ { destination: { host: b }, percentage: { value: 5 } } ]",
        ", mirrors: [ { destination: { host: b } } ]",
    ),
    works(
        "VirtualService.http.corsPolicy.allowOrigin",
        RULE,
        ", corsPolicy: { allowOrigin: [ 'https://a' ] }",
        "",
    ),
    works(
        "VirtualService.http.corsPolicy.allowOrigins",
        RULE,
        ", corsPolicy: { allowOrigins: [ { exact: 'https://a' } ] }",
        "",
    ),
    works("VirtualService.http.corsPolicy.allowMethods", CORS, ", allowMethods: [ GET ]", ""),
    works("VirtualService.http.corsPolicy.allowHeaders", CORS, ", allowHeaders: [ x-a ]", ""),
    works("VirtualService.http.corsPolicy.exposeHeaders", CORS, ", exposeHeaders: [ x-a ]", ""),
    works("VirtualService.http.corsPolicy.maxAge", CORS, ", maxAge: 1h", ""),
    works("VirtualService.http.corsPolicy.allowCredentials", CORS, ", allowCredentials: true", ""),
    works("VirtualService.http.corsPolicy.unmatchedPreflights", CORS, ", unmatchedPreflights: IGNORE", ""),
    works("DestinationRule.host", "{ host: @, trafficPolicy: { tls: { mode: SIMPLE } } }", "a", "b"),
    works("DestinationRule.subsets.name", SUBSETS, "name: v1", "name: v2"),
    works("DestinationRule.subsets.labels", SUBSETS, "name: v1, labels: { v: one }", "name: v1"),
    works("DestinationRule.trafficPolicy.portLevelSettings.port.number", PORT, "80", "81"),
    works("DestinationRule.trafficPolicy.connectionPool.tcp.maxConnections", TCP, "maxConnections: 5", ""),
    works("DestinationRule.trafficPolicy.connectionPool.tcp.connectTimeout", TCP, "connectTimeout: 1s", ""),
    works(
        "DestinationRule.trafficPolicy.connectionPool.tcp.tcpKeepalive.probes",
        TCP,
        "tcpKeepalive: { probes: 5 }",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.connectionPool.tcp.tcpKeepalive.time",
        TCP,
        "tcpKeepalive: { time: 5s }",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.connectionPool.tcp.tcpKeepalive.interval",
        TCP,
        "tcpKeepalive: { interval: 5s }",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.connectionPool.tcp.maxConnectionDuration",
        TCP,
        "maxConnectionDuration: 1h",
        "",
    ),
    works("DestinationRule.trafficPolicy.connectionPool.tcp.idleTimeout", TCP, "idleTimeout: 1h", ""),
    works(
        "DestinationRule.trafficPolicy.connectionPool.http.http1MaxPendingRequests",
        HTTP,
        "http2MaxRequests: 5, http1MaxPendingRequests: 5",
        "http2MaxRequests: 5",
    ),
    works(
        "DestinationRule.trafficPolicy.connectionPool.http.http2MaxRequests",
        HTTP,
        "http2MaxRequests: 5",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.connectionPool.http.maxRequestsPerConnection",
        HTTP,
        "maxRequestsPerConnection: 5",
        "",
    ),
    works("DestinationRule.trafficPolicy.connectionPool.http.maxRetries", HTTP, "maxRetries: 5", ""),
    works("DestinationRule.trafficPolicy.connectionPool.http.idleTimeout", HTTP, "idleTimeout: 1h", ""),
    works(
        "DestinationRule.trafficPolicy.connectionPool.http.h2UpgradePolicy",
        HTTP,
        "h2UpgradePolicy: UPGRADE",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.connectionPool.http.maxConcurrentStreams",
        HTTP,
        "maxConcurrentStreams: 5",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.connectionPool.http.http2KeepAlive.interval",
        HTTP,
        "http2KeepAlive: { interval: 5s, timeout: 5s }",
        "http2KeepAlive: { interval: 6s, timeout: 5s }",
    ),
    works(
        "DestinationRule.trafficPolicy.connectionPool.http.http2KeepAlive.timeout",
        HTTP,
        "http2KeepAlive: { interval: 5s, timeout: 5s }",
        "http2KeepAlive: { interval: 5s, timeout: 6s }",
    ),
    works(
        "DestinationRule.trafficPolicy.retryBudget.percent",
        POLICY,
        "retryBudget: { percent: 5 }",
        "retryBudget: {}",
    ),
    works(
        "DestinationRule.trafficPolicy.retryBudget.minRetryConcurrency",
        POLICY,
        "retryBudget: { minRetryConcurrency: 5 }",
        "retryBudget: {}",
    ),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.simple",
        POLICY,
        "loadBalancer: { simple: RANDOM }",
        "loadBalancer: { simple: ROUND_ROBIN }",
    ),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.warmupDurationSecs",
        POLICY,
        "loadBalancer: { simple: RANDOM, warmupDurationSecs: 5s }",
        "loadBalancer: { simple: RANDOM }",
    ),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.warmup.duration",
        POLICY,
        "loadBalancer: { simple: RANDOM, warmup: { duration: 5s } }",
        "loadBalancer: { simple: RANDOM, warmup: { duration: 6s } }",
    ),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.warmup.minimumPercent",
        WARMUP,
        ", minimumPercent: 5",
        "",
    ),
    works("DestinationRule.trafficPolicy.loadBalancer.warmup.aggression", WARMUP, ", aggression: 5", ""),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.consistentHash.httpHeaderName",
        HASH,
        "httpHeaderName: x-a",
        "httpHeaderName: x-b",
    ),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.consistentHash.httpCookie.name",
        HASH,
        "httpCookie: { name: a, ttl: 1h }",
        "httpCookie: { name: b, ttl: 1h }",
    ),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.consistentHash.useSourceIp",
        HASH,
        "useSourceIp: true",
        "httpHeaderName: x-a",
    ),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.consistentHash.httpQueryParameterName",
        HASH,
        "httpQueryParameterName: a",
        "httpQueryParameterName: b",
    ),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.consistentHash.minimumRingSize",
        HASH,
        "useSourceIp: true, minimumRingSize: 5000",
        "useSourceIp: true",
    ),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize",
        HASH,
        "useSourceIp: true, ringHash: { minimumRingSize: 5000 }",
        "useSourceIp: true",
    ),
    works(
        "DestinationRule.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize",
        HASH,
        "useSourceIp: true, maglev: { tableSize: 251 }",
        "useSourceIp: true",
    ),
    works(
        "DestinationRule.trafficPolicy.outlierDetection.consecutiveErrors",
        OUTLIER,
        ", consecutiveErrors: 7",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.outlierDetection.splitExternalLocalOriginErrors",
        OUTLIER,
        ", splitExternalLocalOriginErrors: true",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures",
        OUTLIER,
        ", splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 7",
        ", splitExternalLocalOriginErrors: true",
    ),
    works(
        "DestinationRule.trafficPolicy.outlierDetection.consecutiveGatewayErrors",
        OUTLIER,
        ", consecutiveGatewayErrors: 7",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.outlierDetection.consecutive5xxErrors",
        OUTLIER,
        ", consecutive5xxErrors: 7",
        "",
    ),
    works("DestinationRule.trafficPolicy.outlierDetection.interval", OUTLIER, ", interval: 7s", ""),
    works(
        "DestinationRule.trafficPolicy.outlierDetection.baseEjectionTime",
        "{ host: a, trafficPolicy: { outlierDetection: { interval: 9s @ } } }",
        ", baseEjectionTime: 7s",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.outlierDetection.maxEjectionPercent",
        OUTLIER,
        ", maxEjectionPercent: 7",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.outlierDetection.minHealthPercent",
        OUTLIER,
        ", minHealthPercent: 7",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes",
        OUTLIER,
        ", outlierDetectionHttpErrorCodes: [ 429 ]",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.outlierDetection.failurePercentageThreshold",
        OUTLIER,
        ", failurePercentageThreshold: 60",
        "",
    ),
    works(
        "DestinationRule.trafficPolicy.tls.mode",
        POLICY,
        "tls: { mode: SIMPLE }",
        "tls: { mode: DISABLE }",
    ),
    works(
        "DestinationRule.trafficPolicy.tls.clientCertificate",
        MUTUAL,
        "clientCertificate: c, privateKey: k",
        "clientCertificate: d, privateKey: k",
    ),
    works(
        "DestinationRule.trafficPolicy.tls.privateKey",
        MUTUAL,
        "clientCertificate: c, privateKey: k",
        "clientCertificate: c, privateKey: l",
    ),
    works("DestinationRule.trafficPolicy.tls.caCertificates", TLS, ", caCertificates: a", ""),
    works(
        "DestinationRule.trafficPolicy.tls.credentialName",
        TLS,
        ", credentialName: one",
        ", credentialName: two",
    ),
    works("DestinationRule.trafficPolicy.tls.caCertCredentialName", TLS, ", caCertCredentialName: one", ""),
    works("DestinationRule.trafficPolicy.tls.subjectAltNames", TLS, ", subjectAltNames: [ a ]", ""),
    works("DestinationRule.trafficPolicy.tls.sni", TLS, ", sni: b", ""),
    works("DestinationRule.trafficPolicy.tls.insecureSkipVerify", TLS, ", insecureSkipVerify: true", ""),
    works(
        "DestinationRule.trafficPolicy.tls.caCrl",
        TLS,
        ", caCertificates: a, caCrl: b",
        ", caCertificates: a",
    ),
    works(
        "ServiceEntry.hosts",
        "{ hosts: [ @ ], ports: [ { number: 80, name: http, protocol: HTTP } ], resolution: DNS }",
        "a.test",
        "b.test",
    ),
    works(
        "ServiceEntry.resolution",
        "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: HTTP } ], resolution: @ }",
        "DNS",
        "DNS_ROUND_ROBIN",
    ),
    works(
        "ServiceEntry.ports.number",
        "{ hosts: [ a.test ], ports: [ { number: @, name: http, protocol: HTTP } ], resolution: DNS }",
        "80",
        "81",
    ),
    works(
        "ServiceEntry.ports.protocol",
        "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: @ } ], resolution: DNS }",
        "HTTP",
        "HTTP2",
    ),
    works(
        "ServiceEntry.subjectAltNames",
        "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: HTTP } ], resolution: DNS @ }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: a }
spec: { host: a.test, trafficPolicy: { tls: { mode: SIMPLE } } }
",
        ", subjectAltNames: [ b.test ]",
        "",
    ),
    works(
        "ServiceEntry.ports.name",
        "{ hosts: [ a.test ], ports: [ { number: 80, name: @, protocol: HTTP } ], resolution: STATIC, endpoints: [ { address: 10.0.0.1, ports: { one: 81 } } ] }",
        "one, protocol: HTTP }, { number: 90, name: two",
        "two, protocol: HTTP }, { number: 90, name: one",
    ),
    works(
        "ServiceEntry.ports.targetPort",
        "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: HTTP @ } ], resolution: DNS }",
        ", targetPort: 81",
        "",
    ),
    works(
        "ServiceEntry.endpoints.address",
        "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: HTTP } ], resolution: STATIC, endpoints: [ { address: @ } ] }",
        "10.0.0.1",
        "10.0.0.2",
    ),
    works("ServiceEntry.endpoints.ports", ENTRY, ", ports: { http: 81 }", ""),
    works("ServiceEntry.endpoints.labels", ENTRY, ", labels: { a: b }", ""),
    works("ServiceEntry.endpoints.weight", ENTRY, ", weight: 9", ""),
    works(
        "Gateway.servers.port.number",
        "{ servers: [ { hosts: ['*'], port: { number: @, name: http, protocol: HTTP } } ] }",
        "80",
        "81",
    ),
    works("Gateway.servers.bind", GATE, ", bind: 127.0.0.2", ""),
    works(
        "Gateway.servers.hosts",
        "{ servers: [ { hosts: [ @ ], port: { number: 80, name: http, protocol: HTTP } } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: one }
spec: { hosts: [ a.test ], gateways: [ a ], http: [ { route: [ { destination: { host: c } } ] } ] }
",
        "a.test",
        "b.test",
    ),
    works(
        "Gateway.servers.port.protocol",
        "{ servers: [ { hosts: ['*'], port: { number: 80, name: one, protocol: @ } } ] }",
        "HTTP",
        "TCP",
    ),
    works("Gateway.servers.tls.httpsRedirect", GATE, ", tls: { httpsRedirect: true }", ""),
    works(
        "Gateway.servers.tls.mode",
        SERVER,
        "SIMPLE, credentialName: one",
        "OPTIONAL_MUTUAL, credentialName: one",
    ),
    works(
        "Gateway.servers.tls.serverCertificate",
        SERVER,
        "SIMPLE, serverCertificate: one, privateKey: key",
        "SIMPLE, serverCertificate: two, privateKey: key",
    ),
    works(
        "Gateway.servers.tls.privateKey",
        SERVER,
        "SIMPLE, serverCertificate: one, privateKey: key",
        "SIMPLE, serverCertificate: one, privateKey: two",
    ),
    works("Gateway.servers.tls.caCertificates", PROVING, "caCertificates: one", "caCertificates: two"),
    works("Gateway.servers.tls.caCrl", PROVING, "caCertificates: one, caCrl: two", "caCertificates: one"),
    works(
        "Gateway.servers.tls.credentialName",
        SERVER,
        "SIMPLE, credentialName: one",
        "SIMPLE, credentialName: two",
    ),
    works(
        "Gateway.servers.tls.credentialNames",
        SERVER,
        "SIMPLE, credentialNames: [ one, two ]",
        "SIMPLE, credentialNames: [ one ]",
    ),
    works(
        "Gateway.servers.tls.caCertCredentialName",
        SERVER,
        "MUTUAL, credentialName: one, caCertCredentialName: two",
        "MUTUAL, credentialName: one",
    ),
    works(
        "Gateway.servers.tls.tlsCertificates.serverCertificate",
        SERVER,
        "SIMPLE, tlsCertificates: [ { serverCertificate: one, privateKey: key } ]",
        "SIMPLE, tlsCertificates: [ { serverCertificate: two, privateKey: key } ]",
    ),
    works(
        "Gateway.servers.tls.tlsCertificates.privateKey",
        SERVER,
        "SIMPLE, tlsCertificates: [ { serverCertificate: one, privateKey: key } ]",
        "SIMPLE, tlsCertificates: [ { serverCertificate: one, privateKey: two } ]",
    ),
    works(
        "Gateway.servers.tls.tlsCertificates.caCertificates",
        SERVER,
        "MUTUAL, tlsCertificates: [ { serverCertificate: one, privateKey: key, caCertificates: ca } ]",
        "MUTUAL, tlsCertificates: [ { serverCertificate: one, privateKey: key, caCertificates: cb } ]",
    ),
    works("Gateway.servers.tls.subjectAltNames", MUTUALLY, ", subjectAltNames: [ a ]", ""),
    works("Gateway.servers.tls.verifyCertificateSpki", MUTUALLY, ", verifyCertificateSpki: [ a ]", ""),
    works("Gateway.servers.tls.verifyCertificateHash", MUTUALLY, ", verifyCertificateHash: [ a ]", ""),
    works("Gateway.servers.tls.minProtocolVersion", MUTUALLY, ", minProtocolVersion: TLSV1_3", ""),
    works("Gateway.servers.tls.maxProtocolVersion", MUTUALLY, ", maxProtocolVersion: TLSV1_2", ""),
    works(
        "Gateway.servers.tls.cipherSuites",
        MUTUALLY,
        ", cipherSuites: [ ECDHE-RSA-AES128-GCM-SHA256 ]",
        "",
    ),
    works("Gateway.servers.tls.ecdhCurves", MUTUALLY, ", ecdhCurves: [ P-256 ]", ""),
    works("Gateway.servers.tls.alpnProtocols", MUTUALLY, ", alpnProtocols: [ http/1.1 ]", ""),
];
