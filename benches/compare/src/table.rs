//! Tables for the terminal.

use crate::record::Record;

/// Prints the results of one experiment.
pub(crate) fn print(records: &[Record]) {
    for placement in ["near", "far"] {
        let (mut rows, absent): (Vec<&Record>, Vec<&Record>) = records
            .iter()
            .filter(|record| record.placement == placement)
            .partition(|record| record.ns.is_some());
        let nanos = |row: &Record| row.ns.unwrap_or(f64::MAX);
        rows.sort_by(|one, other| nanos(one).total_cmp(&nanos(other)));
        let Some(first) = rows.first() else {
            continue;
        };
        let exchanges: Vec<f64> = rows
            .iter()
            .filter_map(|row| row.two_line_exchange_ns)
            .collect();
        println!(
            "\n{}; {placement} (two-line exchange {:.0} ns){}",
            first.workload,
            bench_support::median(exchanges),
            match first.sched_fifo {
                true => "; SCHED_FIFO",
                false => "",
            }
        );
        let has_trips = rows.iter().any(|row| row.p50.is_some());
        print!(
            "  {:38} {:>10} {:>21} {:>6} {:>8} {:>8}",
            "", "ns", "quartiles", "slices", "/floor", "/rival"
        );
        match has_trips {
            true => println!("  {:>44}", "p50, p90, p99, p99.9, p99.99"),
            false => println!(),
        }
        for row in rows {
            print_row(row, has_trips);
        }
        let absent: Vec<String> = absent.into_iter().map(absence).collect();
        if !absent.is_empty() {
            println!("  n/a: {}", absent.join("; "));
        }
    }
}

fn absence(row: &Record) -> String {
    let reason = row.reason.as_deref().unwrap_or("no slice at this distance");
    format!("{} ({reason})", row.subject)
}

fn print_row(row: &Record, has_trips: bool) {
    let name = match row.in_process {
        true => format!("{} (threads)", row.subject),
        false => row.subject.clone(),
    };
    let (Some(ns), Some([lower, upper])) = (row.ns, row.ns_quartiles) else {
        return;
    };
    let ratio = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
    let quartiles = format!("[{}, {}]", digits(lower), digits(upper));
    print!(
        "  {name:38} {:>10} {quartiles:>21} {:>6} {:>8} {:>8}",
        digits(ns),
        row.slices,
        ratio(row.ratio_to_floor),
        ratio(row.ratio_to_best_rival)
    );
    if has_trips {
        for trips in [row.p50, row.p90, row.p99, row.p999, row.p9999] {
            print!(" {:>8}", trips.map_or("-".to_owned(), |ns| ns.to_string()));
        }
    }
    println!();
}

/// Formats a time with three significant digits.
pub(crate) fn digits(ns: f64) -> String {
    match ns {
        0.0..10.0 => format!("{ns:.2}"),
        10.0..100.0 => format!("{ns:.1}"),
        _ => format!("{ns:.0}"),
    }
}
