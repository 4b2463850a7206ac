//! Explores every world, or the one that is named.
fn main() {
    let only = std::env::args().nth(1);
    for world in sim::model::worlds() {
        if only.as_deref().is_some_and(|only| only != world.name) {
            continue;
        }
        let begun = std::time::Instant::now();
        let report = sim::model::check(&world, 1);
        println!(
            "{} {:?} unique {} generated {} depth {} complete {} unmet {:?}",
            report.world,
            begun.elapsed(),
            report.unique_states,
            report.generated_states,
            report.depth,
            report.complete,
            report.unmet
        );
        if let Some(story) = report.violation {
            println!("  {}", story.what);
            for step in story.steps {
                println!("    {step}");
            }
        }
    }
}
