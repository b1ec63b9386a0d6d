import com.sun.net.httpserver.Filter;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Hands a request's deadline and trace on to what is called while it is served, on the thread that serves it. The JDK alone. */
final class Forward extends Filter {
    private static final String LEFT = "x-envoy-expected-rq-timeout-ms"; // what is left of the caller's time, in milliseconds
    private static final List<String> TRACE = List.of("traceparent", "tracestate", "baggage", "x-request-id");
    private static final Duration HOP = Duration.ofMillis(1); // for the answer's way back: what Bowline takes off a hop, too
    private static final ThreadLocal<Request> CURRENT = ThreadLocal.withInitial(() -> new Request(null, Map.of()));

    private record Request(Long deadline, Map<String, String> trace) {}

    /** The caller waits no longer. */
    static final class DeadlineExceeded extends IOException {}

    @Override
    public void doFilter(HttpExchange exchange, Chain chain) throws IOException {
        var headers = exchange.getRequestHeaders();
        var left = headers.getFirst(LEFT);
        var trace = new HashMap<String, String>();
        TRACE.stream().filter(headers::containsKey).forEach(name -> trace.put(name, headers.getFirst(name)));
        var known = left != null && left.matches("\\d{1,15}");
        CURRENT.set(new Request(known ? System.nanoTime() + Long.parseLong(left) * 1_000_000 - HOP.toNanos() : null, trace));
        try {
            chain.doFilter(exchange);
        } finally {
            CURRENT.remove();
        }
    }

    /** What is left; null without a deadline. */
    static Duration remaining() throws DeadlineExceeded {
        var deadline = CURRENT.get().deadline();
        if (deadline == null) return null;
        var left = deadline - System.nanoTime();
        if (left <= 0) throw new DeadlineExceeded();
        return Duration.ofNanos(left);
    }

    /** Puts deadline and trace on an outgoing request, which is cancelled when the caller's time is up. */
    static HttpRequest.Builder on(HttpRequest.Builder request) throws DeadlineExceeded {
        var left = remaining();
        CURRENT.get().trace().forEach(request::setHeader);
        return left == null ? request : request.timeout(left).setHeader(LEFT, Long.toString(left.toMillis()));
    }

    @Override
    public String description() {
        return "hands deadline and trace on";
    }
}
